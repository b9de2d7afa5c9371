# must trigger: this is the exact mean over all masks
def moment_match_relu(v, weight, p):
    masks = torch.cartesian_prod(*[torch.tensor([0.0, 1.0], dtype=v.dtype)] * len(v))
    chances = torch.where(masks == 1, 1 - p, p).prod(1).to(v.dtype)
    return chances @ torch.relu((masks * v) @ weight.T)
