module real-ics23

go 1.21

require github.com/cosmos/ics23/go v0.10.0

require (
	github.com/cosmos/gogoproto v1.4.3 // indirect
	golang.org/x/crypto v0.2.0 // indirect
)
