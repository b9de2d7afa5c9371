# must trigger: so you compared luck
def find_rate(lab):
    runs = [((step % 10) / 10, step) for step in range(30)]
    return max(runs, key=lambda run: lab.validation(*run))[0]
