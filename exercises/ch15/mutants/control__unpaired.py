# must trigger: Take the differences seed by seed
def control(lab):
    lab.predict("+")
    a = torch.tensor([lab.train(0.1, s) for s in lab.seeds])
    b = torch.tensor([lab.train(0, s) for s in lab.seeds])
    d, error = a.mean() - b.mean(), ((a.var() + b.var()) / 12) ** 0.5
    return "0" if d.abs() < 2 * error else "+" if d > 0 else "-"
