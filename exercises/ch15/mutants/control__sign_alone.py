# must trigger: leaves the sign open
def control(lab):
    lab.predict("-")
    d = torch.tensor([lab.train(0.1, s) - lab.train(0, s) for s in lab.seeds])
    return "+" if d.mean() > 0 else "-"
