"""Look at texts as pure functions: words, differences, hiding places, what is safe to show."""
