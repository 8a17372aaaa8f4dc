"""Tables to axes, with captions and alternative texts."""
