"""What the server says over DNS, asked over HTTP."""
