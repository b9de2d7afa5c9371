# must trigger: the standard error of their mean
def control(lab):
    lab.predict("-")
    d = torch.tensor([lab.train(0.1, s) - lab.train(0, s) for s in lab.seeds])
    return "0" if d.mean().abs() < 2 * d.std() else "+" if d.mean() > 0 else "-"
