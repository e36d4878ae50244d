"""The tables of the embedded support corpus: what customers of a small online shop ask.

At least ten opening phrasings an intent: the last two are the test part's, the one before them is
the validation part's, the others are the training part's. `{product}` and `{detail}` are filled in;
what the agent answers depends on the intent, on the product and on the detail. The file is long
because it is a table of sentences, read from top to bottom.
"""

from typing import NamedTuple


class Intent(NamedTuple):
    """One thing that customers ask for.

    Attributes:
        openings: Phrasings of the first message.
        answer: The agent's answer; `{order}` is the customer's order number.
        details: What `{detail}` may be, and what the agent then says at `{outcome}`.
        followup: A question that may come next, in three phrasings.
        followup_answer: Its answer.
    """

    openings: tuple[str, ...]
    answer: str
    details: dict[str, str]
    followup: tuple[str, str, str]
    followup_answer: str

    @property
    def needs_order(self) -> bool:
        """Whether the agent asks for the order number before answering."""
        return "{order}" in self.answer


PRODUCTS = (
    "laptop", "phone", "kettle", "blender", "headset", "camera", "backpack", "yoga mat",
    "winter jacket", "desk lamp", "office chair", "coffee machine", "tablet", "smart watch",
    "vacuum cleaner", "toaster", "bicycle helmet", "rain coat", "bookshelf", "speaker",
    "keyboard", "mouse", "radio", "hair dryer", "iron", "electric fan", "heater", "freezer",
    "microwave", "rice cooker", "frying pan", "knife set", "dinner plate", "wine glass",
    "garden hose", "lawn mower", "drill", "tool box", "ladder", "tent", "sleeping bag",
    "running shoe", "hiking boot", "scarf", "swimsuit", "handbag", "suitcase", "umbrella",
    "sofa", "mattress", "carpet", "mirror", "wall clock", "picture frame", "baby stroller",
    "car seat", "toy train", "puzzle", "guitar", "violin",
)  # fmt: skip
# Ways to say the same: one of a row may stand for another in a customer's opening.
PARAPHRASES = (
    ("I want to", "I would like to", "I need to", "I'd like to"),
    ("can you", "could you", "would you"), ("can I", "could I", "may I"),
    ("how do I", "how can I", "what do I do to", "tell me how to"),
    ("where is", "where's", "what happened to"), ("I ordered", "I bought", "I purchased"),
    ("arrived", "came", "was delivered"), ("received", "got", "was sent"),
    ("is not", "isn't"), ("does not", "doesn't"), ("I do not", "I don't"),
    ("I cannot", "I can't", "I am not able to"), ("has not", "hasn't"),
    ("do you have", "do you sell", "have you got"), ("why", "how come"),
    ("parcel", "package", "shipment"), ("swap", "exchange"), ("delivery", "shipping"),
    ("cancel", "call off"), ("stopped working", "broke", "gave up"),
    ("late", "delayed", "overdue"), ("invoice", "bill"), ("twice", "two times"),
    ("delete", "erase"), ("human", "real person", "person"), ("voucher", "coupon"),
    ("right", "correct"), ("wrong", "incorrect"), ("tell me", "let me know"),
)  # fmt: skip
CITIES = ("Berlin", "Madrid", "Lyon", "Oslo", "Dublin", "Vienna", "Porto", "Leeds")

_DAYS = {
    "two days": "It is still within its delivery window and should reach you tomorrow.",
    "three days": "It is still within its delivery window and should reach you tomorrow.",
    "five days": "I have asked the carrier to trace it and will write to you within 24 hours.",
    "a week": "I have asked the carrier to trace it and will write to you within 24 hours.",
    "two weeks": "We count it as lost, so I am sending you a new one today at no cost.",
    "three weeks": "We count it as lost, so I am sending you a new one today at no cost.",
}
_PAYMENT = {
    "credit card": "The money goes back to your credit card within 5 working days.",
    "paypal": "The money goes back to your PayPal account within 2 working days.",
    "bank transfer": "The money goes back to your bank account within 7 working days.",
    "gift card": "The amount goes back to your gift card today.",
}
_REASONS = {
    "is too small": "We will send you a free label, and a larger one if you would like to swap.",
    "is too big": "We will send you a free label, and a smaller one if you would like to swap.",
    "does not work": "We pay the postage, because the item is faulty.",
    "was a mistake": "The postage of 4 euros is taken from your refund.",
}
_DAMAGE = {
    "broken": "I am sending you a new one today, and you can keep the old one.",
    "scratched": "You can keep it with 20 percent back, or send it back for a new one.",
    "wet": "Please do not switch it on; I am sending you a new one today.",
    "already opened": "I am sending you a sealed one today with a free label for the old one.",
}
_MISSING = {
    "the charger": "I am sending the charger by letter today.",
    "the manual": "I have put the manual into your account as a file.",
    "the screws": "I am sending a bag of screws by letter today.",
    "the receipt": "I have sent the receipt to your e-mail address.",
}
_SIZES = {
    "a size smaller": "The smaller size is in stock and leaves today.",
    "a size larger": "The larger size is in stock and leaves tomorrow.",
    "another colour": "Black and blue are in stock; tell me which one you like.",
}
_CITY = dict.fromkeys(CITIES, "It will leave our warehouse for {detail} tomorrow morning.")
_CODES = {
    "expired": "I have made it valid again until Sunday.",
    "not valid": "It works from 50 euros upwards, so please add another item.",
    "already used": "Each code works once; I have added 5 euros to your account instead.",
}
_ABROAD = {
    "Norway": "It takes 8 working days and costs 15 euros, and customs may be added.",
    "Switzerland": "It takes 5 working days and costs 12 euros, and customs may be added.",
    "Spain": "It takes 4 working days and costs 7 euros.",
    "Canada": "It takes 12 working days and costs 25 euros, and customs may be added.",
}
_WEEKDAYS = {
    "on saturday": "On Saturday we are here from 10 to 16.",
    "on sunday": "On Sunday we are closed; you can write to us at any time.",
    "tonight": "Today we are here until 20.",
    "in the morning": "We open at 8 from Monday to Friday.",
}
_STOCK = {
    "in black": "Yes, black is in stock and arrives in 2 days.",
    "in red": "Red is sold out; it comes back in 3 weeks.",
    "in blue": "Yes, blue is in stock and arrives in 2 days.",
    "in white": "White is sold out and will not come back.",
}
_BROKE = {
    "six months": "It is covered by the warranty of two years, so the repair is free.",
    "a year": "It is covered by the warranty of two years, so the repair is free.",
    "three years": "The warranty of two years is over; a repair costs 30 euros.",
    "four years": "The warranty of two years is over; a repair costs 30 euros.",
}

INTENTS: dict[str, Intent] = {
    "order_status": Intent(
        (
            "can you tell me where the {product} I ordered is",
            "I want to know when the {product} comes",
            "will my {product} be in {detail} soon",
            "where is my {product}", "what is the status of my {product} order",
            "has my {product} been shipped yet", "can you check my order of a {product}",
            "I ordered a {product} and want to know where it is",
            "is my {product} on its way to {detail}", "when does my {product} arrive in {detail}",
            "any news about the {product} that I ordered",
            "can you tell me if the {product} I ordered has been shipped",
            "I want to know when my {product} will be in {detail}",
        ),
        "Your {product} from order {order} is packed. {outcome}",
        _CITY,
        ("when will it be here", "how long does that take", "what day does it come"),
        "Your {product} should be with you in 3 days.",
    ),
    "late_delivery": Intent(
        (
            "I have waited {detail} for the {product} that is late",
            "the {product} is late, it has not come for {detail}",
            "my {product} is {detail} late", "I am waiting for my {product} for {detail}",
            "the {product} should have come {detail} ago", "my {product} is {detail} overdue",
            "{detail} and still no {product}", "the delivery of my {product} is {detail} late",
            "why is my {product} {detail} late", "still waiting, my {product} is {detail} overdue",
            "I have been waiting {detail} for the {product} and it is late",
            "the {product} has still not come, it is {detail} late",
        ),
        "I am sorry that your {product} from order {order} is {detail} late. {outcome}",
        _DAYS,
        ("and if it does not come", "what if it never arrives", "what happens if it is lost"),
        "Then we send you another {product} or give you the full price back.",
    ),
    "cancel_order": Intent(
        (
            "the order of the {product} should be cancelled, I paid by {detail}",
            "I do not need the {product}, please cancel the order",
            "I want the {product} order to be cancelled",
            "please cancel my {product}, I paid by {detail}", "I want to cancel the {product}",
            "cancel my order of a {product} please", "I no longer need the {product}, cancel it",
            "can I cancel my {product} order, paid with {detail}",
            "stop my order, I do not want the {product} any more",
            "how do I cancel the {product} that I paid by {detail}",
            "please stop the {product} order, I paid with {detail}",
            "I do not need the {product} any more, can you cancel my order",
            "I would like the order of the {product} to be cancelled, it was paid by {detail}",
        ),
        "I have cancelled your {product}, order {order}. {outcome}",
        _PAYMENT,
        ("do I have to do anything else", "is there anything I must do", "do I need to do more"),
        "No, that is all. You will get an e-mail about the cancelled {product}.",
    ),
    "change_address": Intent(
        (
            "I have a new address in {detail}, please send the {product} there",
            "please deliver my {product} to another address in {detail}",
            "could the {product} be sent to {detail}, I have moved",
            "please send my {product} to {detail} instead", "I moved to {detail}, my {product} order",
            "change the delivery address of my {product} to {detail}",
            "I typed the wrong address for the {product}, it should go to {detail}",
            "can my {product} be delivered to {detail} instead",
            "new address for my {product} is in {detail}",
            "I need another delivery address for the {product}, in {detail}",
            "my {product} should go to my new address in {detail}",
            "could you change the address, the {product} should be sent to {detail}",
            "I have moved, please deliver the {product} to {detail}",
        ),
        "I have changed the address of order {order}. Your {product} now goes to {detail}. {outcome}",
        _CITY,
        ("does that cost extra", "do I pay for the change", "is there a fee for that"),
        "No, changing the address of your {product} is free.",
    ),
    "return_item": Intent(
        (
            "I want to return the {product}, it {detail}", "how do I send back my {product}, it {detail}",
            "the {product} {detail} and I want to return it", "can I return a {product}, it {detail}",
            "I would like to send the {product} back because it {detail}",
            "return of my {product} please, it {detail}", "my {product} {detail}, how can I return it",
            "please take back the {product}, it {detail}",
            "it {detail}, so I want to send back the {product}",
            "how does a return of the {product} work, it {detail}",
        ),
        "You can return the {product} from order {order} within 30 days. {outcome}",
        _REASONS,
        ("when do I get my money", "how long until I am paid back", "when is the refund made"),
        "The refund for the {product} is made 5 working days after it arrives here.",
    ),
    "refund_status": Intent(
        (
            "I am still waiting for the money for my {product}, I paid with {detail}",
            "when will the refund of the {product} be made",
            "I returned the {product} and have not got my money",
            "where is my refund for the {product}", "I sent back the {product}, where is my money",
            "when do I get the money for the {product} that I paid by {detail}",
            "my refund for the {product} has not come, I paid with {detail}",
            "I am waiting for the refund of the {product}", "no refund yet for my {product}",
            "has the refund for the {product} been made, I paid by {detail}",
            "did you send my refund, the {product} was paid by {detail}",
            "I still wait for my money, I sent the {product} back and paid with {detail}",
            "the refund of my {product} has not been made yet",
        ),
        "The refund for the {product} from order {order} was made today. {outcome}",
        _PAYMENT,
        ("can it be faster", "can you speed it up", "is there a faster way"),
        "I am afraid not: the bank needs that time for the refund of the {product}.",
    ),
    "damaged_item": Intent(
        (
            "my {product} was {detail} when I opened it",
            "I got my {product} but it was {detail}",
            "my {product} arrived {detail}", "the {product} is {detail}", "I got a {detail} {product}",
            "the {product} came {detail} in the box", "you sent me a {product} that is {detail}",
            "opened the parcel and the {product} is {detail}",
            "the {product} I received is {detail}, what now", "it came {detail}, I mean the {product}",
            "I received a {product} but it is {detail}",
            "what can I do, my {product} was {detail} when it arrived",
        ),
        "I am sorry that the {product} from order {order} came {detail}. {outcome}",
        _DAMAGE,
        ("do you need a photo", "should I send a picture", "do I have to send photos"),
        "No photo is needed for the {product}, thank you.",
    ),
    "wrong_item": Intent(
        (
            "I ordered a {product} but a {detail} was in the parcel",
            "you sent the wrong item, I have a {detail} here and not the {product}",
            "I ordered a {product} but got a {detail}", "you sent a {detail} instead of a {product}",
            "wrong item, I got a {detail} and not the {product}",
            "in the box was a {detail} and not my {product}",
            "I received the wrong item, a {detail} instead of the {product}",
            "this is not my {product}, it is a {detail}", "why did I get a {detail} and no {product}",
            "a {detail} came instead of the {product} I ordered",
            "the parcel had a {detail} in it but I ordered a {product}",
            "you have sent me the wrong item, it is a {detail} and no {product}",
        ),
        "I am sorry for the mix-up in order {order}. Your {product} leaves today. {outcome}",
        {
            "teapot": "You may keep the teapot.", "pillow": "You may keep the pillow.",
            "printer": "Please give the printer to the driver who brings it.",
            "monitor": "Please give the monitor to the driver who brings it.",
        },
        ("when does the driver come", "what day will it come", "when is it delivered"),
        "The driver brings your {product} on the next working day, between 9 and 17.",
    ),
    "missing_item": Intent(
        (
            "missing from my {product}: {detail}", "the {product} came without {detail}",
            "I cannot find {detail} in the box of the {product}",
            "my {product} came but not {detail}",
            "the box of my {product} does not have {detail}", "you forgot {detail} of the {product}",
            "please send {detail} of the {product}", "I did not get {detail} with my {product}",
            "I opened the box of the {product} and cannot see {detail}",
            "my {product} arrived but without {detail}",
        ),
        "I am sorry that the box of your {product}, order {order}, came without {detail}. {outcome}",
        _MISSING,
        ("do I pay for it", "does that cost anything", "is it free"),
        "No, what was missing from your {product} is free of charge.",
    ),
    "exchange_size": Intent(
        (
            "can I exchange the {product} for {detail}", "I want {detail} of the {product}",
            "please swap my {product} for {detail}", "exchange my {product} for {detail} please",
            "is it possible to swap the {product} for {detail}",
            "I need {detail} of my {product}, can I exchange it",
            "how do I exchange a {product} for {detail}", "swap of my {product} for {detail}, possible",
            "could I have {detail} instead, I want to exchange the {product}",
            "I would like to swap the {product} I have for {detail}",
        ),
        "Of course, we exchange the {product} from order {order} for {detail}. {outcome}",
        _SIZES,
        ("what do I do with the old one", "where do I send the old one", "must I return the old one"),
        "Put the old {product} into its box; the driver takes it along.",
    ),
    "invoice": Intent(
        (
            "how can I get an invoice for my {product}, it is for {detail}",
            "I bought a {product} and would like the bill for {detail}",
            "is there a bill for the {product}",
            "I need an invoice for my {product}", "please send me the invoice of the {product}",
            "where can I find the invoice for the {product}", "no invoice came with the {product}",
            "can I get a bill for the {product} for {detail}",
            "I need the bill of my {product} for {detail}",
            "invoice for {detail} please, I bought a {product}",
            "could you send a bill for my {product}",
            "I bought a {product} and need an invoice for {detail}",
            "how do I get the bill for the {product}, it is for {detail}",
        ),
        "The invoice for the {product}, order {order}, is in your e-mail now. {outcome}",
        {
            "my company": "It shows the name of your company and the tax.",
            "my taxes": "It shows the tax on a line of its own.",
            "my insurance": "It shows the price and the day you bought it.",
        },
        ("can I have it on paper", "can you post it to me", "do you send it by post"),
        "Yes, a paper invoice for the {product} reaches you by post in 4 days.",
    ),
    "payment_failed": Intent(
        (
            "I get an error message at the payment of my {product}, I use {detail}",
            "I want to pay for a {product} by {detail} but it fails",
            "each time I try to buy the {product} the {detail} payment fails",
            "paying with {detail} does not work for the {product}",
            "my payment for the {product} failed", "I cannot pay for the {product} with {detail}",
            "the payment by {detail} does not go through for my {product}",
            "paying the {product} by {detail} gives an error", "payment error when I buy the {product}",
            "why does my {detail} not work, I want to buy a {product}",
            "I try to pay for a {product} with {detail} and it fails",
            "the {product} payment with {detail} does not work",
            "I get an error when I want to pay the {product} by {detail}",
            "it fails each time I pay for the {product} with {detail}",
        ),
        "I am sorry that you could not pay for the {product}. {outcome}",
        {
            "credit card": "Please allow online payments in the app of your bank and try again.",
            "paypal": "Please log in to PayPal first and try again.",
            "bank transfer": "A bank transfer takes 2 days; we keep the item for you.",
            "gift card": "Please type the code of the gift card without spaces.",
        },
        ("was I charged", "did you take my money", "have I paid now"),
        "No money was taken for the {product}.",
    ),
    "double_charge": Intent(
        (
            "my {detail} was charged two times for the {product}",
            "I see two payments for my {product}",
            "I was charged twice for the {product}", "you took the money for my {product} two times",
            "I paid the {product} twice by {detail}", "double charge for my {product} on my {detail}",
            "why was my {detail} charged twice for one {product}",
            "there are two payments for the {product} on my {detail}",
            "the {product} was paid twice with {detail}", "two charges for one {product} on my {detail}",
            "my {detail} shows the payment for the {product} two times",
            "I paid for one {product} but was charged twice",
        ),
        "You were charged twice for the {product}, order {order}, and I am sorry. {outcome}",
        _PAYMENT,
        ("will it happen again", "can that happen again", "how did that happen"),
        "No, the error behind the double charge for the {product} has been corrected.",
    ),
    "discount_code": Intent(
        (
            "my discount code is {detail}", "the code for the {product} is {detail}, it says",
            "it says that my code is {detail} when I buy the {product}",
            "why is my discount {detail}", "the voucher for a {product} is {detail}",
            "my voucher code does not work, it is {detail}", "discount on the {product} is {detail}",
            "the page says the voucher for the {product} is {detail}",
            "I typed the discount code for the {product} and it says {detail}",
            "why does it say that the voucher is {detail}",
        ),
        "I have looked at your discount code. {outcome}",
        _CODES,
        ("can I use two codes", "may I use more than one code", "can I combine codes"),
        "No, one code works for each order.",
    ),
    "gift_card": Intent(
        (
            "how do I use a gift card for a {product}", "do you sell a gift card of {detail}",
            "I want to buy a gift card of {detail}", "can I get a gift card of {detail}",
            "gift card of {detail} please", "where can I buy gift cards of {detail}",
            "I would like to give a gift card of {detail}", "is there a gift card of {detail}",
            "can I buy a gift card of {detail} from you",
            "I am looking for a gift card of {detail}",
        ),
        "Gift cards are sent by e-mail and are valid for three years. {outcome}",
        {
            "20 euros": "You find the card of 20 euros under Gifts.",
            "50 euros": "You find the card of 50 euros under Gifts.",
            "100 euros": "For a card of 100 euros we add 5 euros as a present.",
        },
        ("can I print it", "is it on paper", "can I have it printed"),
        "Yes, the e-mail has a page to print.",
    ),
    "warranty": Intent(
        (
            "I have had the {product} for {detail} and it broke",
            "my {product} broke after {detail}", "the {product} stopped working after {detail}",
            "is my {product} under warranty, I bought it {detail} ago",
            "after {detail} the {product} is dead", "warranty for a {product} that is {detail} old",
            "I bought the {product} {detail} ago and it stopped working",
            "does the warranty cover my {product} after {detail}",
            "my {product} is {detail} old and broke", "the {product} broke, I have had it for {detail}",
            "it is {detail} since I bought the {product} and now it stopped working",
        ),
        "I am sorry that your {product} from order {order} stopped working. {outcome}",
        _BROKE,
        ("how long does the repair take", "when do I get it back", "how long is the repair"),
        "The repair of your {product} takes 10 working days.",
    ),
    "password_reset": Intent(
        (
            "I forgot my password", "how do I reset my password", "I cannot log in {detail}",
            "my password does not work {detail}", "please reset my password",
            "the login fails {detail}, wrong password", "new password please, I cannot log in {detail}",
            "I do not know my password any more", "log in does not work {detail}, I forgot the password",
            "how can I get a new password, the login fails {detail}",
        ),
        "Please click on Forgot password and follow the link in the e-mail. {outcome}",
        {
            "on my phone": "On a phone you find it below the login field.",
            "in the app": "In the app you find it in the menu at the top.",
            "on the website": "On the website you find it below the login field.",
        },
        ("I get no e-mail", "the e-mail does not come", "there is no e-mail"),
        "Please look into the spam folder; the e-mail comes within 10 minutes.",
    ),
    "change_email": Intent(
        (
            "I want to change my e-mail address", "how do I change the e-mail of my account",
            "please change my e-mail to {detail}", "my new e-mail address is {detail}",
            "I have a new e-mail, it is {detail}", "use {detail} as the e-mail of my account",
            "can you put {detail} as my e-mail address", "please use my new e-mail {detail}",
            "the e-mail address of my account should be {detail}",
            "could you change the e-mail of my account to {detail}",
        ),
        "You can change the e-mail address in your account under Settings. {outcome}",
        {
            "anna.lee@example.com": "A link goes to the new address; please click on it.",
            "m.ruiz@example.org": "A link goes to the new address; please click on it.",
            "joe77@example.net": "A link goes to the new address; please click on it.",
        },
        ("what about my old orders", "do I keep my orders", "will I lose my orders"),
        "Your orders stay in the account.",
    ),
    "delete_account": Intent(
        (
            "please delete my account", "I want to close my account", "how do I delete my account",
            "remove my data {detail}", "delete everything that you know about me {detail}",
            "close my account {detail}", "I do not want an account any more {detail}",
            "please close the account and remove my data {detail}",
            "I want you to remove my account {detail}",
            "can you delete all my data and my account {detail}",
        ),
        "I am sorry to see you go. Your account will be deleted. {outcome}",
        {
            "today": "It is gone within an hour.", "right now": "It is gone within an hour.",
            "next month": "I have put the first day of next month into the calendar.",
        },
        ("can I come back", "can I open it again later", "may I return later"),
        "Yes, you can open a new account at any time.",
    ),
    "opening_hours": Intent(
        (
            "are you open {detail}", "can I call you {detail}", "what are your opening hours",
            "when are you open", "is somebody there {detail}", "do you work {detail}",
            "until when can I call {detail}", "opening hours {detail} please",
            "can I reach somebody {detail}", "when can I call you, are you there {detail}",
        ),
        "You can reach us from Monday to Friday from 8 to 20. {outcome}",
        _WEEKDAYS,
        ("what is your phone number", "which number do I call", "how can I call you"),
        "You find our phone number at the bottom of each page.",
    ),
    "shipping_cost": Intent(
        (
            "what is the delivery price for a {product} {detail}",
            "how much would shipping the {product} {detail} cost",
            "do I have to pay for the shipping of a {product}",
            "how much is the shipping of a {product}", "what does delivery of a {product} cost",
            "is the delivery free for a {product}", "shipping cost for a {product} {detail}",
            "what do I pay for the delivery of a {product} {detail}",
            "how much do you take for shipping a {product} {detail}",
            "is shipping of the {product} {detail} free", "what is the price of delivery {detail}",
            "how much does it cost to ship a {product} {detail}",
            "what would I pay for shipping the {product} {detail}",
        ),
        "Standard delivery of a {product} costs 4 euros and is free from 40 euros. {outcome}",
        {
            "by express": "Express costs 9 euros and takes one day.",
            "to a shop": "Delivery to a shop is always free.",
            "to my home": "Standard delivery takes 3 days.",
        },
        ("can I choose the day", "can I pick a day", "may I choose when it comes"),
        "Yes, you can choose the day for the {product} before you pay.",
    ),
    "international_shipping": Intent(
        (
            "can you ship the {product} abroad, to {detail}",
            "I would like you to ship a {product} to {detail}",
            "is it possible to ship to {detail}, for a {product}",
            "do you ship a {product} to {detail}", "can you send a {product} to {detail}",
            "I live in {detail}, can I order a {product}", "shipping of a {product} to {detail}",
            "is it possible to get a {product} in {detail}",
            "do you deliver to {detail}, I want a {product}",
            "how long does a {product} take to {detail}", "can I have a {product} sent to {detail}",
            "I am in {detail}, do you deliver a {product} there",
            "would you ship to {detail}, it is for a {product}",
        ),
        "Yes, we ship the {product} to {detail}. {outcome}",
        _ABROAD,
        ("who pays customs", "do I pay the customs", "is customs included"),
        "Customs, where there are any, are paid by the customer.",
    ),
    "stock": Intent(
        (
            "do you have the {product} {detail}", "is the {product} in stock {detail}",
            "is there a {product} {detail}", "when is the {product} back {detail}",
            "I am looking for a {product} {detail}", "can I get the {product} {detail}",
            "the {product} {detail}, is it available", "is the {product} available {detail}",
            "have you got a {product} {detail} in stock",
            "I would like a {product} {detail}, do you have it",
        ),
        "I have looked for the {product} {detail}. {outcome}",
        _STOCK,
        ("can you tell me when it is back", "can you let me know", "will you write to me"),
        "Yes, I will write to you when there is news about the {product}.",
    ),
    "track_parcel": Intent(
        (
            "I want to track my {product}",
            "the tracking page for the {product} does not change",
            "for {detail} the tracking has shown nothing about my {product}",
            "the tracking of my {product} has not moved for {detail}",
            "my tracking number does not work, it is for a {product}",
            "tracking says nothing new for {detail} about the {product}",
            "how do I track my {product}", "I cannot track my {product}, no change for {detail}",
            "where do I see the tracking of the {product}",
            "the tracking page of the {product} shows nothing for {detail}",
            "no change in the tracking of my {product} for {detail}",
            "I want to track the {product}, the page has not changed for {detail}",
            "tracking of the {product} does not work for {detail}",
        ),
        "I have looked at the tracking of your {product}, order {order}. {outcome}",
        _DAYS,
        ("who is the carrier", "who brings it", "which carrier is it"),
        "Your {product} is carried by the post.",
    ),
    "speak_to_human": Intent(
        (
            "is there somebody I can talk to {detail}",
            "I want a human to call me {detail}",
            "no robot, a person please",
            "I want to talk to a human", "give me a real person", "can I speak to somebody {detail}",
            "let me talk to your manager {detail}", "I do not want to talk to a robot",
            "I need a person {detail}", "call me {detail}, I want to speak to a human",
            "please let me speak to a real person {detail}",
            "is there a human that I can talk to {detail}",
            "no robot please, I want somebody to call me {detail}",
        ),
        "Of course, a colleague will take over. {outcome}",
        {
            "now": "Please stay here, it takes about 5 minutes.",
            "today": "You will get a call before 18.",
            "tomorrow": "You will get a call tomorrow before 12.",
        },
        ("will you tell them what I wrote", "do I have to explain again", "do they know my problem"),
        "My colleague sees all that you have written, so you need not repeat it.",
    ),
}  # fmt: skip

WITHOUT_DETAIL = {
    "order_status": "It will leave our warehouse tomorrow morning.",
    "cancel_order": "The money goes back to you the way that you paid.",
    "refund_status": "The money goes back to you the way that you paid.",
    "double_charge": "The money goes back to you the way that you paid.",
    "invoice": "It shows the price and the tax.",
    "payment_failed": "Please try another way to pay.",
    "gift_card": "You find them under Gifts.",
    "password_reset": "You find it below the login field.",
    "change_email": "A link goes to the new address; please click on it.",
    "delete_account": "It is gone within a day.",
    "opening_hours": "On Saturday we are here from 10 to 16.",
    "shipping_cost": "It takes 3 days.",
    "track_parcel": "It is on its way to you.",
    "speak_to_human": "Please stay here, it takes about 5 minutes.",
}
GREETINGS = ("", "", "", "hi, ", "hello, ", "good morning, ", "hey there, ", "dear team, ")
CLOSINGS = ("", "", "", " please help", " thanks", " thank you", " please", " can you help me")
ORDER_PHRASES = (
    "my order number is {order}", "the order is {order}", "order {order}", "it is order {order}",
)  # fmt: skip
GIVEN_PHRASES = (
    "it is {order}", "{order}", "sure, {order}", "the number is {order}", "here it is: {order}",
    "my order number is {order}",
)  # fmt: skip
ASK_ORDER = "I am happy to help you with your {product}. What is your order number?"
THANKS = (
    "thank you", "thanks a lot", "great, thanks", "ok thank you very much", "perfect, thanks",
    "thank you, that helps",
)  # fmt: skip
WELCOME = "You are welcome. Have a nice day!"
STORY = (
    "I was at work when all of this began and my neighbour told me about it.",
    "My sister came over for the weekend and we had planned a small party.",
    "It was raining the whole day and the children did not want to go out.",
    "I have been a customer of this shop for many years and was always happy.",
    "Last summer we were at the sea and everything was so much easier.",
    "My husband says that I worry too much, and maybe he is right.",
    "On Monday I had to see the dentist and on Tuesday the car broke down.",
    "We have a dog who barks at each driver who stops at our door.",
    "The street in front of our house is closed because they repair the road.",
    "I wanted to write to you before but there was so much to do at home.",
    "My mother turns seventy this month and the whole family will be there.",
    "Our kitchen was painted last week and the boxes still stand in the hall.",
    "I looked at many other shops before and liked your photos the most.",
    "A friend of mine had the same thing happen to her some time ago.",
    "The weather was bad and the trains did not run for some hours.",
    "I do not often write such long letters but today I have the time.",
)
TYPOS = {
    "please": "pls", "you": "u", "are": "r", "thanks": "thx", "what": "wat", "because": "cuz",
    "received": "recieved", "address": "adress", "tomorrow": "tommorow", "really": "realy",
    "want": "wnt", "have": "hav", "order": "ordr", "number": "nr", "money": "mony",
}  # fmt: skip
