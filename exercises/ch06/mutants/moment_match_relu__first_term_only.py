# must trigger: the second term is missing
def moment_match_relu(v, weight, p):
    mean = (1 - p) * (weight @ v)
    spread = (p * (1 - p) * (weight**2 @ v**2)).sqrt()
    return mean * torch.special.ndtr(mean / spread.clamp(min=1e-30))
