"""The dashboard in a real Chromium (Debian's, driven by Playwright): what a person sees, does and is told."""
