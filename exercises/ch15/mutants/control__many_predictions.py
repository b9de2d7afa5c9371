# must trigger: you predicted 3 times
def control(lab):
    for sign in "+-0":
        lab.predict(sign)
    d = torch.tensor([lab.train(0.1, s) - lab.train(0, s) for s in lab.seeds])
    return "0" if d.mean().abs() < 2 * d.std() / 12**0.5 else "+" if d.mean() > 0 else "-"
