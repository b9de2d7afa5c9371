"""What is right, exercise by exercise: one module a chapter, one function an exercise."""
