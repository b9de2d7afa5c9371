# must trigger: nothing varies, and the answer is the ReLU of the mean
def moment_match_relu(v, weight, p):
    mean = (1 - p) * (weight @ v)
    spread = (p * (1 - p) * (weight**2 @ v**2)).sqrt()
    ratio = mean / spread
    density = torch.exp(-(ratio**2) / 2) / (2 * torch.pi) ** 0.5
    return (mean * torch.special.ndtr(ratio) + spread * density).nan_to_num(0.0) * (spread > 0)
