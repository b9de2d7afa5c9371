# must trigger: the control is missing
def control(lab):
    lab.predict("+")
    a = torch.tensor([lab.train(0.1, s) for s in lab.seeds])
    return "+" if a.mean() > 80 else "-"
