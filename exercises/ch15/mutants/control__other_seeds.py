# must trigger: of 24 trainings are missing
def control(lab):
    lab.predict("+")
    a = torch.tensor([lab.train(0.1, s) for s in lab.seeds[:6]])
    b = torch.tensor([lab.train(0, s) for s in lab.seeds[6:]])
    return "+" if a.mean() > b.mean() else "-"
