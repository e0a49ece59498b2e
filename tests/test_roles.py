import pytest

from deeprec_tf import DenseFeat, SparseFeat, VarLenSparseFeat
from deeprec_tf.roles import histories_of, split_by_role

USER = SparseFeat("user", 5, embedding_dim=3)
ITEM = SparseFeat("item", 7, embedding_dim=2)
PAST = VarLenSparseFeat(SparseFeat("hist_item", 7, embedding_dim=2, embedding_name="item"), 4)
PRICE = DenseFeat("price", 2)
CATE = SparseFeat("cate", 5, embedding_dim=2)


def past(name, table="item", **options):
    size = 7 if table == "item" else 5
    return VarLenSparseFeat(
        SparseFeat(name, size, embedding_dim=2, embedding_name=table), 4, **options
    )


def names(roles):
    return {
        role: [column.name for column in getattr(roles, role)]
        for role in ("target", "behaviors", "negative_behaviors", "context")
    }


def test_roles_by_name():
    columns = [
        USER, CATE, ITEM, past("neg_hist_cate", "cate"), past("hist_cate", "cate"), PAST,
        past("neg_hist_item"), PRICE,
    ]
    assert names(split_by_role(columns, ["item", "cate"])) == {
        "target": ["item", "cate"], "behaviors": ["hist_item", "hist_cate"],
        "negative_behaviors": ["neg_hist_item", "neg_hist_cate"], "context": ["user", "price"],
    }


def test_roles_by_shared_table():
    roles = split_by_role([ITEM, past("clicked"), past("neg_clicked")], ["item"])
    assert names(roles)["behaviors"] == ["clicked"]
    assert names(roles)["negative_behaviors"] == ["neg_clicked"]


def test_behaviors_are_not_pooled_whatever_their_combiner():
    roles = split_by_role([ITEM, past("hist_item", combiner="max")], ["item"])
    assert roles.behaviors[0].combiner == "none"


def test_two_items_of_one_table_go_by_name():
    similar = SparseFeat("similar", 7, embedding_dim=2, embedding_name="item")
    columns = [ITEM, similar, past("hist_item"), past("hist_similar")]
    assert names(split_by_role(columns, ["item", "similar"]))["behaviors"] == [
        "hist_item", "hist_similar",
    ]


def test_each_history_is_of_one_column():
    similar = SparseFeat("similar", 7, embedding_dim=2, embedding_name="item")
    clicked, likewise = past("clicked"), past("hist_similar")
    assert histories_of([ITEM, similar], [clicked]) == {"item": clicked}
    assert histories_of([ITEM, similar], [likewise]) == {"similar": likewise}
    assert histories_of([PRICE, CATE], [USER, clicked]) == {}


@pytest.mark.parametrize(
    ("columns", "behaviors", "error", "message"),
    [
        ([ITEM, PAST], "item", TypeError, "DIN: behavior_list must be a list of item columns"),
        ([ITEM, PAST], [], TypeError, "behavior_list must be a list"),
        ([ITEM, PAST], ["cate"], ValueError, "names 'cate', but no SparseFeat"),
        ([ITEM, PAST], ["hist_item"], ValueError, "names 'hist_item', but no SparseFeat"),
        ([ITEM], ["item"], ValueError,
         r"'item' needs its history, but no column 'hist_item' was given. Add VarLenSparseFeat\(S"),
        ([ITEM, PAST, past("clicked")], ["item"], ValueError,
         "both 'hist_item' and 'clicked' could be the history of 'item'"),
        ([ITEM, PAST, past("neg_hist_item"), past("neg_more")], ["item"], ValueError,
         "could be the negatives of 'item'"),
        ([ITEM, past("hist_item", "own")], ["item"], ValueError,
         "'hist_item' must share the table of 'item'. Give it embedding_name='item'"),
        ([ITEM, VarLenSparseFeat(SparseFeat("hist_item", 7, embedding_dim=3), 4)], ["item"],
         ValueError, "'item' is 2 wide, 'hist_item' 3. Give both the same embedding_dim"),
        ([ITEM, CATE, PAST, past("hist_cate", "cate"), past("neg_hist_item")], ["item", "cate"],
         ValueError, "'neg_hist_item' was given but the negatives of 'cate' were not"),
    ],
)  # fmt: skip
def test_roles_that_do_not_work_out(columns, behaviors, error, message):
    with pytest.raises(error, match=message):
        split_by_role(columns, behaviors, owner="DIN")
