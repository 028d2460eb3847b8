"""`python -m namd pretrain`: the small models that stand for what others download, trained once and shipped.

`images` draws what they see, `vae`, `unet`, `flux` and `llm` train one each; `nodules` and `encoders` are the same for
AutoRad-Lung, `autorad` makes its models of them; `told` is what manifests say, `command` does all of it in order."""
