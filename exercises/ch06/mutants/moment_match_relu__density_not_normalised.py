# must trigger: the density lacks its factor
def moment_match_relu(v, weight, p):
    mean = (1 - p) * (weight @ v)
    spread = (p * (1 - p) * (weight**2 @ v**2)).sqrt()
    ratio = mean / spread.clamp(min=1e-30)
    return mean * torch.special.ndtr(ratio) + spread * torch.exp(-(ratio**2) / 2)
