"""Models made smaller: pruned, quantized, distilled; each with what it really takes."""
