"""Running the cells of notes, and judging what came out. Imports only `model` and `memo` of the garden."""
