# must trigger: these are the moments of the scaled output
def moment_match_relu(v, weight, p):
    k = 1 - p
    mean = weight @ v
    spread = (p / k * (weight**2 @ v**2)).sqrt() if p < 1 else 0 * v[:1]
    ratio = mean / spread.clamp(min=1e-30)
    density = torch.exp(-(ratio**2) / 2) / (2 * torch.pi) ** 0.5
    return mean * torch.special.ndtr(ratio) + spread * density
