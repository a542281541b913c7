"""The shop of `headwater demo`, as the guide to streams tells it."""

from typing import Final

ORDER_COLUMNS: Final = {
    "order_id": "INT",
    "customer_id": "INT",
    "product": "VARCHAR",
    "amount": "DECIMAL(10,2)",
    "ordered": "DATE",
}


def _order(
    order_id: int, customer_id: int, product: str, amount: str, ordered: str
) -> dict[str, object]:
    return {
        "order_id": order_id,
        "customer_id": customer_id,
        "product": product,
        "amount": amount,
        "ordered": ordered,
    }


FIRST_ORDERS: Final = [
    _order(1, 101, "Laptop", "999.99", "2024-01-15"),
    _order(2, 102, "Mouse", "29.99", "2024-01-15"),
    _order(3, 103, "Keyboard", "79.99", "2024-01-15"),
]
LATER_ORDERS: Final = [
    _order(4, 104, "Monitor", "299.99", "2024-01-16"),
    _order(5, 105, "Desk Chair", "199.99", "2024-01-16"),
]
LAST_ORDER: Final = _order(6, 106, "Lamp", "39.50", "2024-01-17")

CUSTOMER: Final[dict[str, object]] = {
    "customer_id": 123,
    "name": "John",
    "email": "john@old.com",
}

# Below this many pieces a product is reordered.
LOW: Final = 10
STOCK: Final = [
    {"product_id": 1, "quantity_available": 40},
    {"product_id": 2, "quantity_available": 25},
    {"product_id": 3, "quantity_available": 12},
]


def _sale(sale_id: int, product_id: int, quantity: int) -> dict[str, object]:
    return {"sale_id": sale_id, "product_id": product_id, "quantity_sold": quantity}


SALES: Final = [_sale(1, 1, 5), _sale(2, 3, 4), _sale(3, 1, 2)]
TOO_MANY: Final = _sale(4, 2, 900)
NEXT_SALES: Final = [_sale(5, 1, 3), _sale(6, 2, 5)]
