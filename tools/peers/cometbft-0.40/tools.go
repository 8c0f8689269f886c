//go:build tools

// What ioi-exec's node is tested under: the program itself, as this module pins it.
package tools

import _ "github.com/cometbft/cometbft/cmd/cometbft"
