"""Scopes for web frameworks and task queues. Each module imports its framework, and only the app imports them."""
