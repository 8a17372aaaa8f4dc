-- An executed notebook as a page: code folded, wide tables scrolling by themselves, figures with their text.

local function folded(block)
  return {
    pandoc.RawBlock("html", "<details><summary>Code</summary>"),
    block,
    pandoc.RawBlock("html", "</details>"),
  }
end

local function cell(div)
  if not div.classes:includes("cell") then return nil end
  div.attributes, div.identifier = {}, "" -- times of execution, numbers
  if not div.classes:includes("code") then return div end
  local blocks = pandoc.List({})
  for _, block in ipairs(div.content) do
    if block.t == "CodeBlock" then blocks:extend(folded(block)) else blocks:insert(block) end
  end
  div.content = blocks
  return div
end

local tables = 0

local function scrolling(block)
  tables = tables + 1
  return pandoc.Div({ block }, { class = "scroll", role = "region", tabindex = "0", ["aria-label"] = "table " .. tables })
end

local function described(image)
  image.attributes.figure = nil
  image.attributes.width, image.attributes.height = nil, nil -- as wide as the column
  return image
end

local function is_code(block)
  return block and block.t == "Div" and block.classes:includes("code") and block.content[1].t == "CodeBlock"
end

-- Cells that show nothing are folded together with the next one.
local function joined(blocks)
  local out = pandoc.List({})
  for i, block in ipairs(blocks) do
    local next_block = blocks[i + 1]
    if is_code(block) and #block.content == 1 and is_code(next_block) then
      next_block.content[1].text = block.content[1].text .. "\n\n" .. next_block.content[1].text
    else
      out:insert(block)
    end
  end
  return out
end

-- Tables that an output has as HTML scroll by themselves as well.
local function raw(block)
  if block.format ~= "html" then return nil end
  block.text = block.text:gsub("<table.-</table>", function(text)
    tables = tables + 1
    return '<div class="scroll" role="region" tabindex="0" aria-label="table ' .. tables .. '">' .. text .. "</div>"
  end)
  return block
end

function Pandoc(document)
  document.blocks = joined(document.blocks)
  document = document:walk({ Table = scrolling, RawBlock = raw, Image = described }):walk({ Div = cell })
  document.blocks:insert(1, pandoc.RawBlock("html", "<main>"))
  document.blocks:insert(pandoc.RawBlock("html", "</main>"))
  return document
end
