"""Why a block was as fast as it was: which keys its transactions fought over, and how fast it could have been."""
