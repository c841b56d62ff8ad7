print("a training script")
