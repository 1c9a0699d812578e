"""Writes a tiny model with random weights: `python tiny_model.py FOLDER`, by the Python of the engine's environment.

FOLDER holds the model's config.json; weights of that shape, a tokenizer of bytes and a chat template are put beside it.
"""

import sys
from pathlib import Path

import tokenizers
import torch
import transformers

ROLES = "{% for m in messages %}{{ m['content'] }}{% endfor %}"


def main(folder: Path) -> None:
    """Make the files; everybody may read them, as in a volume that is filled for a server of another user."""
    torch.manual_seed(0)
    config = transformers.AutoConfig.from_pretrained(folder)
    transformers.AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16).save_pretrained(folder)
    made = tokenizers.Tokenizer(tokenizers.models.BPE())
    made.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = tokenizers.decoders.ByteLevel()
    alphabet = tokenizers.pre_tokenizers.ByteLevel.alphabet()
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=config.vocab_size, special_tokens=["<s>", "</s>"], initial_alphabet=alphabet
    )
    made.train_from_iterator(["hello"], trainer)
    wrapped = transformers.PreTrainedTokenizerFast(tokenizer_object=made, bos_token="<s>", eos_token="</s>")
    wrapped.chat_template = ROLES
    wrapped.save_pretrained(folder)
    for file in folder.iterdir():
        file.chmod(0o644)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
