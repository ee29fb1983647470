"""The HTTP calls of the emulator, of its control API, and its pages."""
