"""This tree beside a frozen revision of itself."""
