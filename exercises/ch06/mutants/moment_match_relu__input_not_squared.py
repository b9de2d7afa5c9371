# must trigger: the inputs are not squared
def moment_match_relu(v, weight, p):
    k = 1 - p
    mean = k * (weight @ v)
    spread = (p * k * (weight**2 @ v)).sqrt()
    ratio = mean / spread.clamp(min=1e-30)
    density = torch.exp(-(ratio**2) / 2) / (2 * torch.pi) ** 0.5
    return mean * torch.special.ndtr(ratio) + spread * density
