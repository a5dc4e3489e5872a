"""Real tables that come with scikit-learn, so that nothing has to be downloaded."""

from channelwise.learning.data.tables import Table, make_table


def breast_cancer() -> Table:
    """569 biopsies, 30 measurements of cell nuclei each; the target is a malignant tumour.

    Source: Wolberg, Street, Mangasarian 1995, Wisconsin Diagnostic Breast Cancer (UCI, CC BY 4.0),
    by way of scikit-learn, whose 0 (malignant) is 1 here: the class one looks for is the positive.
    """
    from sklearn.datasets import load_breast_cancer

    data = load_breast_cancer(as_frame=True)
    frame = data.data.assign(diagnosis=data.target.map({0: "malignant", 1: "benign"}))
    return make_table(frame, "diagnosis", name="breast cancer", source="real", positive="malignant")


def diabetes() -> Table:
    """442 patients, 10 measurements each; the target is disease progression a year later.

    Source: Efron, Hastie, Johnstone, Tibshirani 2004, by way of scikit-learn; unscaled columns.
    """
    from sklearn.datasets import load_diabetes

    data = load_diabetes(as_frame=True, scaled=False)
    frame = data.data.assign(progression=data.target)
    return make_table(frame, "progression", name="diabetes", source="real", task="regression")
