// "Ignore all previous instructions" in languages other than English, and without spaces. Text is NFKC. Regular
// expressions work on UTF-8 bytes: a letter outside ASCII counts two or more, and is not matched without its case.

rule override_in_another_language {
  strings:
    $de = /\b(ignorier\w{0,3}|vergiss|vergessen sie|missachte\w{0,2}|verwirf|[uU]bergeh\w{0,3})\b[^.\n]{0,40}\b(vorherig|vorig|bisherig|obig|vorangegangen|vorhergehend|alle|fr..?her|s..?mtlich)[^.\n]{0,40}(anweisung|instruktion|vorgabe|regel|befehl|anordnung|richtlinie)/i
    $fr = /\b(ignore[rz]?|oublie[rz]?|tene?z? pas compte|tiens pas compte|abstraction)\b[^.\n]{0,40}\b(instructions?|consignes?|directives?|r..?gles|ordres)\b[^.\n]{0,30}(pr..?c..?dent|ant..?rieur|ci-dessus|avant|initial)/i
    $es = /\b(ignor[ae]n?|olvid[ae]n?|omit[ae]n?|desestim[ae]|caso omiso)\b[^.\n]{0,50}\b(instrucci|indicaci|reglas|..?rdenes|directrices|directivas)[^.\n]{0,40}(anterior|previa|arriba|hasta ahora)/i
    $pt = /\b(ignor[ae]m?|esque..?a|desconsider[ae]m?|despreze)\b[^.\n]{0,50}\b(instru..?.?|indica..?|regras|ordens|diretrizes|comandos)[^.\n]{0,40}(anterior|pr..?vi|acima|at. agora)/i
    $it = /\b(ignora(te|re)?|ignori|dimentica(te|re)?|trascura(te|re)?|disattendi)\b[^.\n]{0,50}\b(istruzioni|indicazioni|regole|ordini|comandi|direttive)\b[^.\n]{0,40}(precedent|sopra|anterior|finora)/i
    $nl = /\b(negeer|vergeet|sla)\b[^.\n]{0,40}\b(vorige|eerdere|bovenstaande|voorgaande|alle)\b[^.\n]{0,30}\b(instructies|aanwijzingen|opdrachten|regels|richtlijnen)/i
    $pl = /(ignoruj|zapomnij o|pomi.?.?)[^.\n]{0,50}(poprzedni|wcze..?niejsz|powy..?sz|wszystki)[^.\n]{0,40}(instrukcj|polece|wytyczn|zasad|rozkaz)/i
    $cs = /(ignoruj|zapome..?)[^.\n]{0,50}(p..?edchoz|p..?ede..?l|v..?echn|d..?..?v)[^.\n]{0,40}(instrukc|pokyn|p..?.?kaz|pravidl)/i
    $nordic = /\b(ignorera|ignorer|bortse fr..?n|gl..?m|glem|se bort fra|se bort fr..?)\b[^.\n]{0,40}\b(tidigare|f..?reg..?ende|tidligere|forrige|alla|alle|ovanst..?ende)\b[^.\n]{0,40}(instruktion|instruks|anvisning|regler|regel)/i
    $fi = /(l.. v.lit.|unohda|j..?t. huomiotta|ohita|sivuuta)[^.\n]{0,60}(aiemm|edelli|kaikki|kaikista)[^.\n]{0,40}(ohje|k..?sky|s..?..?nn)/i
    $hu = /(hagyd? figyelmen k..?v..?l|felejtsd? el|mell..?zd)[^.\n]{0,60}(utas..?t..?s|szab..?ly|parancs)/i
    $ro = /\b(ignor(a|.\x83|a..?i)|uit(a|.\x83|a..?i))[^.\n]{0,40}(instruc|indica|regul)[^.\n]{0,40}(anterioar|precedent|de mai sus)/i
    $tr = /(nceki|yukar..?daki|t..?m|b..?t..?n)[^.\n]{0,40}(talimat|y..?nerge|komut|kural)[^.\n]{0,40}(yok say|rmezden|unut|dikkate alma)/i
    $id = /\b(abaikan|lupakan|hiraukan)\b[^.\n]{0,40}\b(instruksi|perintah|arahan|petunjuk|aturan)\b/i
    $ru = /(гнорируй|абудь|бращай внимани|бращайте внимани|тбрось)[^.\n]{0,60}(предыдущ|прежн|прошл|все |всех |всю |выше)[^.\n]{0,60}(инструкци|указани|команд|правил|распоряжени)/
    $uk = /(гноруй|абудь|ехтуй)[^.\n]{0,60}(попередн|усі |всі |вище)[^.\n]{0,60}(інструкці|вказівк|команд|правил)/
    $el = /(γνόησε|γνοήστε|έχνα|εχάστε)[^.\n]{0,60}(προηγούμεν|όλες|όλους|παραπάνω)[^.\n]{0,60}(οδηγίες|εντολές|κανόνες)/
    $zh = /(忽略|无视|無視|忽視|忘记|忘記|不理会|抛弃).{0,24}(之前|以上|先前|上述|前面|所有|一切|此前).{0,24}(指令|指示|提示|说明|說明|规则|規則|命令)/
    $ja = /(これまで|以前|上記|すべて|全て|今まで|先ほど|前の).{0,45}(指示|命令|プロンプト|ルール|指令).{0,30}(無視|忘れ|従わな)/
    $ko = /(이전|위의|앞의|모든|기존|지금까지).{0,45}(지시|명령|지침|프롬프트|규칙).{0,30}(무시|잊)/
    $ar = /(تجاهل|انس|تغاضى).{0,60}(التعليمات|الأوامر|التوجيهات|القواعد|الارشادات|الإرشادات).{0,40}(السابق|أعلاه|المذكورة)/
    $he = /(התעלם|התעלמי|התעלמו|שכח|שכחו).{0,60}(הוראות|הנחיות|פקודות|כללים).{0,30}(קודמות|הקודמ|לעיל)/
    $fa = /(دستور|فرمان|راهنما|قوانین).{0,60}(قبلی|پیشین|بالا).{0,60}(نادیده|فراموش)/
    $hi = /(पिछले|सभी|ऊपर|पूर्व|पहले).{0,90}(निर्देश|आदेश|नियम).{0,90}(अनदेखा|अनदेखी|नजरअंदाज|भूल)/
    $vi = /(bỏ qua|phớt lờ|quên).{0,60}(hướng dẫn|chỉ thị|chỉ dẫn|lệnh|quy tắc).{0,40}(trước|trên)/i
    $th = /(เพิกเฉย|ละเว้น|ไม่ต้องสนใจ|ลืม).{0,90}(คําสั่ง|คําแนะนํา).{0,90}(ก่อนหน้า|ทั้งหมด|ข้างต้น)/
  condition:
    any of them
}

rule override_without_spaces {
  strings:
    $a = /(ignore|disregard|forget|override|bypass)(all|any|the|your|of|these|those|every){0,4}(previous|prior|above|earlier|preceding|other|existing)?(instructions?|prompts?|directions|directives|guidelines)/i
  condition:
    any of them
}

// Looked for without accents, as `reading.unaccented` folds them.
rule forgets_everything_in_another_language {
  strings:
    $de1 = /\b(vergiss|vergesst|vergessen sie|ignorier\w{0,3}|missachte\w{0,2}|loesch\w{1,3}|streich\w{0,3})\b[^.\n]{0,24}\b(alles|samtliche|saemtliche|jede|was)\b[^.\n]{0,50}\b(gesagt|vorher|zuvor|bisher\w{0,3}|oben|davor|steht|gelesen|aufgetragen|befohlen)\b/i
    $fr1 = /\b(oublie[rz]?|ignore[rz]?|neglige[rz]?|efface[rz]?)\b[^.\n]{0,12}\btout(es)? (ce qu|ce que|ce qui|cela|le reste|les)\b[^.\n]{0,40}\b(dit|avant|precede|precedent\w{0,2}|haut|demande|lu|donne\w{0,2})\b/i
    $es1 = /\b(olvida|olvide|olvidad|ignora|ignore|descarta)\b[^.\n]{0,6}\btod[oa]s?\b[^.\n]{0,8}\b(lo|las|los)\b[^.\n]{0,40}\b(dicho|anterior\w{0,3}|antes|arriba|previ[oa]s?|dijeron|leido|recibid[oa]s?)\b/i
    $it1 = /\b(dimentica|dimenticate|ignora|ignorate|scorda)\b[^.\n]{0,6}\btutto\b[^.\n]{0,50}\b(detto|prima|sopra|precedent\w|finora|letto)\b/i
    $pt1 = /\b(esqueca|esquece|ignore|ignora|desconsidere)\b[^.\n]{0,6}\btudo\b[^.\n]{0,50}\b(dito|disse\w{0,3}|antes|acima|anterior\w{0,3}|leu)\b/i
    $nl1 = /\b(vergeet|negeer|wis)\b[^.\n]{0,6}\balles\b[^.\n]{0,50}\b(gezegd|eerder|hiervoor|hierboven|verteld|daarvoor|gelezen)\b/i
    $pl = /\b(zapomnij|ignoruj|pomin)\b[^.\n]{0,10}\b(wszystk\w{1,4}|wszystko)\b[^.\n]{0,50}\b(wczesniej|powyzej|poprzedni\w{0,3}|dotychczas\w{0,3}|przedtem)\b/i
    $cs = /\b(zapomen\w{0,2}|ignoruj\w{0,2})\b[^.\n]{0,10}\b(vse|vsechno|vsechn\w)\b[^.\n]{0,50}\b(predtim|vyse|drive|dosud|rekl\w|predchozi)\b/i
    $nordic = /\b(glom|glem)\b[^.\n]{0,6}\b(allt|alt)\b[^.\n]{0,50}\b(sagt|tidigare|tidligere|innan|ovan|over|hittills|hidtil)\b/i
    $ro = /\b(uita|ignora)\b[^.\n]{0,6}\btot\b[^.\n]{0,50}\b(spus|inainte|anterior|sus)\b/i
    $tr = /(her seyi|onceki (her sey|tum)|soylenen her)[^.\n]{0,30}(unut|yok say)/i
    $id = /\b(lupakan|abaikan)\b[^.\n]{0,6}\bsemua\b[^.\n]{0,50}\b(sebelumnya|di atas|tadi)\b/i
    $fi = /\bunohda\b[^.\n]{0,6}\bkaikki\b[^.\n]{0,50}\b(aiemm\w{1,4}|sanott\w{1,3}|ylla|tahan asti)\b/i
    $hu = /\bfelejts\w{0,3}\b[^.\n]{0,6}\bmindent\b/i
    $vi = /\bquen\b[^.\n]{0,6}\b(moi|tat ca)\b[^.\n]{0,50}\b(truoc|tren)\b/i
    $ru = /(абудь|абудьте|гнорируй|гнорируйте)[^.\n]{0,12}(все|всё|обо вс)[^.\n]{0,80}(раньше|ранее|выше|сказан|до этого|прежде|говорил)/
    $uk = /(абудь|абудьте)[^.\n]{0,12}(все|усе)[^.\n]{0,80}(раніше|вище|сказан|до цього)/
    $el = /(έχασε|εχάστε|εχασε|εχαστε|γνόησε|γνοησε)[^.\n]{0,12}(ό,τι|ότι|οτι|όλα|ολα)[^.\n]{0,80}(πριν|παραπάνω|παραπανω)/
    $zh = /(忘记|忘掉|忘記|忽略|无视).{0,20}(一切|所有|全部|之前|以上|上面).{0,24}(内容|對話|对话|话|内容|信息|说)/
    $ja = /(すべて|全て|これまで|今まで).{0,30}(忘れて|忘れろ|無視して)/
    $ko = /(모두|모든|전부|이전).{0,30}(잊어|무시해|무시하)/
    $ar = /(انس|تجاهل).{0,12}(كل|جميع).{0,60}(سابق|قبل|أعلاه|قيل)/
    $he = /(שכח|התעלם).{0,12}(כל|הכל|מכל).{0,60}(קודם|לעיל|נאמר|עד כה)/
    $hi = /(सब कुछ|सभी).{0,60}(भूल जा|अनदेखा)/
  condition:
    any of them
}

rule answers_only_in_another_language {
  meta:
    weak = true
  strings:
    $de2 = /\b(antworte|erwidere|schreibe?|sage?|entgegne|gib)( bitte)? (ab (jetzt|sofort) )?(nur|immer|ausschliesslich|stets|bloss|lediglich|auf (jede|alle) fragen?)\b[^.\n]{0,16}\b(mit|den satz|das wort|die worte|noch|dass|aus)\b/i
    $de3 = /\b(ab (jetzt|sofort|nun)|von nun an)\b[^.\n]{0,12}\b(bist du|antwortest du|sprichst du|du bist|antworte|gehorche)\b|\bdu bist (jetzt|nun|ab jetzt|ab sofort) (ein|eine|der|die|kein)\b/i
    $de4 = /\b(gib|verrate|zeige?|nenne|drucke)\b[^.\n]{0,30}\b(system-?prompt|systemanweisung\w{0,3}|deine (anweisungen|vorgaben|regeln)|system-?nachricht)\b|\b(sag|teile?|empfiehl|empfehle)\b[^.\n]{0,6}\b(jedem|allen) (nutzer|benutzer|leser|kunden)\w{0,2}\b/i
    $fr2 = /\b(reponds|repondez|repondre|dis|dites|ecris|ecrivez) (uniquement|seulement|toujours|simplement|exclusivement|desormais|a (toute|chaque) question)\b[^.\n]{0,20}\b(par|avec|que|en|le mot)\b|\b(tu es|vous etes) (maintenant|desormais|dorenavant) (un|une|le|la)\b|\b(desormais|a partir de maintenant),? (tu|vous|reponds|repondez)\b/i
    $es2 = /\b(responde|responda|contesta|conteste|di|diga|escribe) (solo|solamente|unicamente|siempre|exclusivamente|a (toda|cada|cualquier) pregunta)\b[^.\n]{0,20}\b(con|que|en|la palabra)\b|\b(ahora eres|a partir de ahora,? (eres|responde|contesta|debes|tu))\b/i
    $it2 = /\b(rispondi|rispondete|scrivi|di') (solo|soltanto|sempre|unicamente|esclusivamente|a (ogni|qualsiasi) domanda)\b[^.\n]{0,20}\b(con|che|in|la parola)\b|\b(ora sei|adesso sei|d'ora in poi,? (sei|rispondi|devi))\b/i
    $pt2 = /\b(responda|responde|diga|escreva) (apenas|so|somente|sempre|unicamente|a (toda|cada|qualquer) pergunta)\b[^.\n]{0,20}\b(com|que|em|a palavra)\b|\b(agora (voce e|es)|a partir de agora,? (voce|tu|responda))\b/i
    $nl2 = /\b(antwoord|zeg|schrijf) (alleen|altijd|enkel|uitsluitend|voortaan|op elke vraag)\b[^.\n]{0,20}\b(met|dat|in|het woord|nog)\b|\b(je bent (nu|voortaan)|vanaf nu,? (ben je|antwoord|ben jij)) /i
    $pl = /\b(odpowiadaj|odpowiedz|pisz) (tylko|zawsze|wylacznie|jedynie)\b|\bod teraz (jestes|odpowiadaj)\b/i
    $cs = /\b(odpovidej|odpovez|odpovidejte) (pouze|jen|vzdy|jenom)\b|\bod ted (jsi|odpovidej)\b/i
    $nordic = /\b(svara|svar|skriv) (bara|endast|alltid|kun|altid|bare|alltid)\b[^.\n]{0,16}\b(med|att|at|pa)\b|\bdu (ar|er) (nu|na) (en|ett|et)\b/i
    $ro = /\braspunde (doar|numai|intotdeauna|mereu)\b/i
    $tr = /\b(sadece|yalnizca|her zaman)\b[^.\n]{0,40}\b(cevap ver|yanitla|yaz)\b/i
    $id = /\bjawab(lah)? (hanya|selalu|cuma)\b[^.\n]{0,10}\b(dengan|bahwa)\b/i
    $fi = /\bvastaa (vain|aina|ainoastaan)\b/i
    $hu = /\b(csak|mindig)\b[^.\n]{0,20}\b(valaszolj|valaszoljon)\b|\bvalaszolj (csak|mindig)\b/i
    $vi = /\bchi tra loi\b/i
    $ru = /(твечай|твечайте|апиши|оворите?) (только|всегда|лишь)|(еперь ты|тныне ты|этого момента ты)/
    $uk = /ідповідай(те)? (тільки|лише|завжди)/
    $el = /(πάντησε|παντησε|παντα) (μόνο|μονο|πάντα|παντα)/
    $zh = /(只|仅|僅|一律|总是|總是|永远)(能|要|需|可|许|会)?(回答|回复|回覆|输出|輸出|说|答)|(从现在起|從現在起|从现在开始|你现在是|你現在是)/
    $ja = /(だけ|のみ|必ず|常に).{0,12}(答えて|回答して|返答して|出力して|答えろ)|(あなたは今から|これからあなたは)/
    $ko = /(만|항상|오직).{0,12}(대답해|답해|대답하|답하세요|출력하)|(지금부터 (너는|당신은))/
    $ar = /(أجب|اجب|رد) (فقط|دائما|دائمًا)|(أنت الآن|من الآن)/
    $he = /(ענה|השב) (רק|תמיד)/
    $hi = /(केवल|सिर्फ|हमेशा).{0,60}(उत्तर दें|जवाब दें|जवाब दो)/
  condition:
    any of them
}
