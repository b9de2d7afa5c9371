# must trigger: the weights are not squared
def moment_match_relu(v, weight, p):
    k = 1 - p
    mean = k * (weight @ v)
    spread = (p * k * (weight @ v**2)).sqrt()
    ratio = mean / spread.clamp(min=1e-30)
    density = torch.exp(-(ratio**2) / 2) / (2 * torch.pi) ** 0.5
    return mean * torch.special.ndtr(ratio) + spread * density
