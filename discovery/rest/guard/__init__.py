"""Who is let in, and how often: callers, browsers' origins, CORS, rates."""
