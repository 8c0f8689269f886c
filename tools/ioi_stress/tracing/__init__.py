"""The timeline of one block: as a trace for the Perfetto UI, as a picture, as text."""
