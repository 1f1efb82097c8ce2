"""Records become text, HTML and equations."""
