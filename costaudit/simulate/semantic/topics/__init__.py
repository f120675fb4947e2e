"""Topics of questions: which texts belong together, and how large each group is."""
