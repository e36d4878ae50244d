"""The keyword bot with which the case study begins: the first rule that matches answers."""

RULES: tuple[tuple[tuple[str, ...], str], ...] = (
    (("human", "person", "manager", "robot"), "Of course, a colleague will take over."),
    (("password", "log in", "login"), "Please click on Forgot password and follow the link."),
    (("e-mail",), "You can change the e-mail address in your account under Settings."),
    (("delete", "close my account", "my data"), "Your account will be deleted."),
    (("gift card",), "Gift cards are sent by e-mail and are valid for three years."),
    (("discount", "voucher", "code"), "Please check that your discount code is still valid."),
    (("invoice", "bill", "receipt"), "The invoice is in your e-mail."),
    (("twice", "two times", "double"), "I am sorry, we will pay the second charge back."),
    (("payment", "pay for"), "Please check your payment details and try again."),
    (("refund", "money"), "Refunds are made within 5 working days."),
    (("cancel",), "I have cancelled your order."),
    (("address", "moved"), "I have changed the address of your order."),
    (("exchange", "swap"), "Of course, we exchange your item."),
    (("return", "send back", "sent back"), "You can return items within 30 days."),
    (("broken", "damaged", "scratched"), "I am sorry that your item came damaged."),
    (("wrong item", "instead of"), "I am sorry for the mix-up. Your item leaves today."),
    (("missing", "without"), "I am sorry that something was missing from your order."),
    (("warranty", "stopped working", "broke"), "The warranty covers two years."),
    (("tracking", "track"), "You can track your parcel in your account."),
    (("late", "overdue", "waiting"), "I am sorry that your order is late."),
    (("open", "hours", "call"), "You can reach us from Monday to Friday from 8 to 20."),
    (("shipping", "delivery"), "Standard delivery costs 4 euros and is free from 40 euros."),
    (("in stock", "available"), "Please look at the product page for what is in stock."),
    (("where is", "status", "shipped"), "Your order is packed and will leave soon."),
    (("thank", "thanks"), "You are welcome. Have a nice day!"),
)
FALLBACK = "I am sorry, I did not understand. Could you say it in other words?"


def answer(text: str) -> str:
    """The canned answer of the first rule one of whose keywords is in the text."""
    lowered = text.lower()
    for keywords, reply in RULES:
        if any(keyword in lowered for keyword in keywords):
            return reply
    return FALLBACK
