def control(lab):
    lab.predict("-")
    both = torch.tensor([[lab.train(p, seed) for seed in lab.seeds] for p in (0.0, 0.1)], dtype=torch.float64)
    gains = both.diff(dim=0).flatten()
    half = 2 * gains.std() / math.sqrt(len(gains))
    low, high = gains.mean() - half, gains.mean() + half
    if low > 0:
        return "+"
    return "-" if high < 0 else "0"
