"""Pictures of the chapters, one file per chapter; ``svg`` turns a matplotlib figure into an accessible inline SVG."""
