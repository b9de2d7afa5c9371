"""Interactive figures, one .py and one .js each; ``base`` says how to make another."""
