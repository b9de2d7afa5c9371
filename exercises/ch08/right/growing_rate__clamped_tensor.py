def growing_rate(step, steps, p):
    return (torch.tensor(step / steps, dtype=torch.float64) * p).clamp(max=p)
