/* SPDX-License-Identifier: Apache-2.0
 * The texts and pictures by which precisions are compared: written for ilk, so that no data set stands behind a choice. Whatever part of
 * the list there is time for holds several languages and scripts, code, numbers, and a passage longer than most models read. */
#include "tasks/calibrate.h"

#include <math.h>
#include <stdbool.h>

const char *const ilki_tasks_calibration_texts[] = {
    "The kettle had just begun to whistle when the letter came through the door.",
    "Three boats were tied to the jetty, and only one of them looked fit for the sea.",
    "How long does it take for fresh paint to dry on a damp wall?",
    "When the ferry stopped running, the island did not become quieter, as people on the mainland had "
    "expected. It became louder. Those who had used to leave on Friday stayed, and those who stayed "
    "needed something to do. A choir was founded in October, a second one in November after a quarrel "
    "about tempo, and by the new year there was a workshop for boats in the shed where tickets had been "
    "sold. The teacher, who had asked for a transfer every spring for nine years, withdrew her last "
    "request and began to write down what the oldest families remembered of the time before there was any "
    "ferry at all. They remembered less than she had hoped, but they disagreed about it with such energy "
    "that she filled four notebooks. In one of them, between a recipe for seaweed pudding and a list of "
    "drowned dogs, stands the sentence that she later read out at the meeting with the ministry: a place "
    "is not remote because it is hard to reach, but because nobody thinks of setting out.",
    "Im Garten hinter dem Haus steht ein alter Birnbaum, der jedes Jahr weniger trägt.",
    "Le train de nuit arrive à la frontière un peu avant l'aube.",
    "Поезд задержали на час, и мы успели выпить чаю на вокзале.",
    "图书馆每天早上九点开门，晚上八点关门。",
    "SELECT name, count(*) FROM visits WHERE day >= '2024-03-01' GROUP BY name ORDER BY 2 DESC;",
    "The committee approved the budget after a debate that lasted most of the night.",
    "El mercado del barrio cierra los lunes, pero la panadería abre siempre.",
    "Install the valve with the arrow pointing in the direction of flow.",
    "窓の外では、雪が静かに降り続いていた。",
    "A recipe for lentil soup with cumin, carrots and a squeeze of lemon.",
    "La biblioteca ha restaurato due manoscritti del Quattrocento.",
    "A pump that runs dry is damaged within minutes, because the liquid it moves is also what cools and "
    "lubricates its seals. Before the first start, therefore, fill the housing through the upper plug "
    "until liquid runs out without bubbles, close the plug, and turn the shaft twice by hand. Check that "
    "the valve on the suction side is fully open and that the one on the pressure side is open by a "
    "quarter. Start the motor and watch the gauge: pressure must rise within ten seconds. If it does not, "
    "stop at once and look for air in the suction line, a blocked strainer, or a motor that turns the "
    "wrong way, which is easily found by comparing the direction of the fan with the arrow on the "
    "housing. Once pressure is steady, open the valve slowly until the flow is as required. The current "
    "must not exceed the value on the plate. A seal may drip a little during the first hour; after that "
    "more than two drops a minute mean that it has to be replaced.",
    "Prices of copper fell by 4.2 % in the second quarter, the steepest drop since 2019.",
    "أغلقت المدرسة أبوابها مبكرا بسبب العاصفة الرملية.",
    "Why do cats purr when they are hurt as well as when they are content?",
    "버스가 늦게 와서 회의에 십 분 늦었습니다.",
    "Her grandmother taught her to read the weather from the colour of the hills.",
    "O rio transbordou e a ponte velha ficou debaixo de água.",
    "return (a < b) ? a : b; /* the smaller of the two */",
    "Warm air rises, cools, and lets go of the water that it carried.",
    "यह सड़क पहाड़ों से होकर नदी के किनारे तक जाती है।",
    "De fiets stond nog steeds tegen het hek, met een lekke band.",
    "The defendant's appeal was dismissed on the ground that it had been filed too late.",
    "Na rynku sprzedawano miód, ser i suszone grzyby.",
    "A short walk.",
    "Als die Brücke gesperrt wurde, rechnete die Stadt mit ein paar Wochen. Daraus wurden drei Jahre. "
    "Zuerst fuhren die Leute einen Umweg von zwanzig Minuten, dann zogen einige um, und schließlich "
    "verlegte die Molkerei ihren Betrieb auf die andere Seite des Flusses. Was niemand vorhergesehen "
    "hatte: Auf dem gesperrten Stück entstand ein Garten. Ein Rentner stellte zwei Kübel mit Tomaten auf "
    "den Asphalt, jemand brachte eine Bank, und im zweiten Sommer wuchsen zwischen den Leitplanken "
    "Sonnenblumen, die man vom Bahnhof aus sehen konnte. Als die Prüfer feststellten, dass der Stahl doch "
    "hält, gab es eine Abstimmung. Heute fahren dort Busse und Fahrräder, und auf der südlichen Spur "
    "stehen noch immer die Tomaten.",
    "η θάλασσα ήταν ήρεμη και ο ουρανός χωρίς σύννεφα",
    "Vaccines train the immune system without causing the disease itself.",
    "Bu akşam balkonda oturup yıldızları seyrettik.",
    "The violinist broke a string in the second movement and went on with three.",
    "רכבת ההרים נסגרה לתיקונים עד סוף החודש",
    "Could you please send me the invoice for order no. 48-1173 again?",
    "Chiếc thuyền nhỏ trôi theo dòng nước về phía cửa sông.",
    "Photosynthesis turns light, water and carbon dioxide into sugar and oxygen.",
    "Vinteren kom tidligt det år, og søen frøs til før jul.",
    "The goalkeeper guessed right and pushed the penalty onto the post.",
    "รถไฟขบวนสุดท้ายออกจากสถานีตอนเที่ยงคืน",
    "За ночь снег занёс тропу, и утром проводник долго стоял у двери, прислушиваясь к ветру. Идти было "
    "можно, но не всем. Он отобрал четверых, проверил верёвки и крепления, а остальным велел топить печь "
    "и ждать до темноты. К полудню небо прояснилось, и стало видно, что лавина сошла дальше, чем "
    "казалось: старая хижина у перевала исчезла. Нашли только дверь, лежавшую на снегу, как плот. На ней "
    "углём было написано, сколько человек вышло и куда. Благодаря этой надписи спасатели повернули на "
    "восток и к вечеру встретили всех живыми, уставшими и очень голодными.",
    "An empty theatre smells of dust, velvet and cold lamps.",
    "Hinta nousi, mutta kukaan ei enää ostanut mitään.",
    "error: expected ';' before '}' token at line 212",
    "The old map shows a village where today there is only a reservoir.",
    "研究人员在洞穴深处发现了一种没有眼睛的小鱼。",
    "Wann fährt der letzte Bus zurück in die Stadt?",
    "Volcanic ash grounded flights across the whole of the northern coast.",
    "Les enfants ont construit une cabane avec des branches et une vieille bâche.",
    "Compound interest is interest paid on interest that was paid before.",
    "Заявление нужно подать до пятницы, иначе придётся ждать месяц.",
    "Turn left after the mill, cross the stream, and follow the wall uphill.",
    "二つの川がこの町で合流し、海へ向かう。",
    "The lease may be ended by either party with three months' notice in writing.",
    "这座小城的旧车站在三十年前停用，铁轨被拆走，只剩下站台和一座钟。钟一直停在四点十分，居民们把它当作约会的地点，"
    "说“四点十分见”，意思是什么时候都可以。后来有人提议把车站改成博物馆，也有人想拆掉它修停车场，争论持续了好几年"
    "。最后一位修表匠自己带着梯子来，花了两个星期让钟重新走起来。从那以后，人们发现自己开始准时赴约，而停车场的计划"
    "再也没有人提起。如今站台上种着石榴树，夏天有孩子在那里学骑自行车，冬天则有老人坐在避风的一侧晒太阳、下棋、谈论"
    "从前的火车开往哪里。",
    "Bees dance to tell the others where the flowers are.",
    "¿Cuánto pesa una maleta vacía de este tamaño?",
    "Noise in the signal was reduced by averaging sixteen exposures.",
    "The baker opens at five, and by seven the rye is gone.",
    "A solar eclipse happens when the moon passes between the sun and the earth.",
    "Il vento ha strappato le tende e portato via due sedie.",
    "Unplug the machine before you open the cover.",
    "The novel follows four sisters who inherit a lighthouse that none of them wants.",
    "ok",
    "Glaciers carve valleys the shape of a U, rivers the shape of a V.",
    "오늘은 바람이 많이 불어서 배가 뜨지 않는다.",
    "His alibi depended on a parking ticket stamped at 18:42.",
    "Mirrors in a telescope are coated with a layer of aluminium thinner than a hair.",
};
const size_t ilki_tasks_n_calibration_texts = sizeof ilki_tasks_calibration_texts /
                                              sizeof *ilki_tasks_calibration_texts;

/* ------------------------------------------------------------------ pictures */

/* Drawn and not taken: what photographs have in common is that neighbours are alike and that edges are few. Between four
 * colours of the corners lies noise of five scales, rough in some pictures and soft in others, with a few shapes before it;
 * some are all but flat, some are stripes like text. */
enum { SCALES = 5, MOST_SHAPES = 6 };

static uint32_t mix(uint32_t x)
{
    x ^= x >> 16;
    x *= 0x7feb352du;
    x ^= x >> 15;
    x *= 0x846ca68bu;
    return x ^ x >> 16;
}

/* 0 to 1, the same for the same numbers. */
static float chance(uint32_t picture, uint32_t what, uint32_t x, uint32_t y)
{
    return (float)(mix(picture * 0x9e3779b9u ^ mix(what * 0x85ebca6bu ^ mix(x * 0xc2b2ae35u ^ mix(y)))) >> 8) /
           (float)(1 << 24);
}

static float between(float a, float b, float t)
{
    return a + (b - a) * t * t * (3 - 2 * t);
}

/* Noise of `cells` to a side at (u, v) of the unit square, -1 to 1. */
static float noise(uint32_t picture, uint32_t what, uint32_t cells, float u, float v)
{
    float x = u * (float)cells, y = v * (float)cells;
    uint32_t i = (uint32_t)x, j = (uint32_t)y;
    float top = between(chance(picture, what, i, j), chance(picture, what, i + 1, j), x - (float)i),
          bottom = between(chance(picture, what, i, j + 1), chance(picture, what, i + 1, j + 1), x - (float)i);
    return 2 * between(top, bottom, y - (float)j) - 1;
}

static float ground(uint32_t picture, uint32_t channel, float u, float v)
{
    float rough = 0.35F + 0.5F * chance(picture, 1, 0, 0), share = 0.4F;
    bool flat = picture % 8 == 7;
    float left = chance(picture, 2 + channel, 0, 0) * (1 - v) + chance(picture, 2 + channel, 0, 1) * v,
          right = chance(picture, 2 + channel, 1, 0) * (1 - v) + chance(picture, 2 + channel, 1, 1) * v;
    float value = left * (1 - u) + right * u, plain = chance(picture, 6, 0, 0);
    for (uint32_t s = 0; s < SCALES; s++, share *= rough)
        value += share * noise(picture, 8 + s * (picture % 3 ? 1 : 4) + channel * (picture % 3 == 0), 3u << s, u, v);
    if (picture % 8 == 3)
        value += 0.4F * (noise(picture, 40, 24, v, 0) > 0 && noise(picture, 41, 48, u, v) > 0 ? -1.0F : 0.5F);
    return flat ? plain + 0.06F * (value - 0.5F) : value;
}

/* The shape in front at (u, v), counted from 1; 0: none. */
static uint32_t shape_at(uint32_t picture, float u, float v)
{
    uint32_t n = picture % (MOST_SHAPES + 1);
    for (uint32_t k = n; k > 0; k--) {
        float x = (u - chance(picture, 60, k, 0)) / (0.05F + 0.3F * chance(picture, 61, k, 0)),
              y = (v - chance(picture, 60, k, 1)) / (0.05F + 0.3F * chance(picture, 61, k, 1));
        if (k % 2 ? x * x + y * y < 1 : fabsf(x) < 1 && fabsf(y) < 1)
            return k;
    }
    return 0;
}

void ilki_tasks_draw_picture(uint8_t *pixels, uint32_t side, uint32_t picture)
{
    for (uint32_t y = 0; y < side; y++)
        for (uint32_t x = 0; x < side; x++) {
            float u = ((float)x + 0.5F) / (float)side, v = ((float)y + 0.5F) / (float)side;
            uint32_t shape = shape_at(picture, u, v);
            for (uint32_t c = 0; c < 3; c++) {
                float value = ground(picture, c, u, v);
                if (shape)
                    value = 0.25F * value + 0.75F * chance(picture, 70 + c, shape, 0);
                value = value < 0 ? 0 : value > 1 ? 1 : value;
                pixels[((size_t)y * side + x) * 3 + c] = (uint8_t)(value * 255 + 0.5F);
            }
        }
}
