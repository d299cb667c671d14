"""Pure values and rules: nothing here reads a disk, a network, a clock, the environment or a random source."""
