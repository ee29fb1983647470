"""What the emulator remembers: workflows, runs, files, webhooks."""
