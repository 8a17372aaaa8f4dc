"""What is seen, or said, in films, and when."""
