"""A wake word and a few commands, heard offline: docs/voice.md."""
