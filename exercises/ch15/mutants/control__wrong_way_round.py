# must trigger: the sign is the wrong way round
def control(lab):
    lab.predict("0")
    d = torch.tensor([lab.train(0, s) - lab.train(0.1, s) for s in lab.seeds])
    return "0" if d.mean().abs() < 2 * d.std() / 12**0.5 else "+" if d.mean() > 0 else "-"
