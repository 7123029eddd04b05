"""MAD: adaptive distillation of CLIP into a cross-modal student while it learns a task.

Wang, Codella, Chen, Zhou et al., arXiv 2204.10496; the earlier CLIP-TD is arXiv 2201.05729. Only their abstracts and
results are at hand: what is built here is our reconstruction, each choice a parameter (docs/fidelity.md).
"""
