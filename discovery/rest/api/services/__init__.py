"""What is registered: listed, one service by itself, and taken out."""
